"""Who may do what: permissions, roles, groups, bindings, and the decision with its reason."""
