"""The web kit: what every endpoint needs from HTTP; it knows no product."""
