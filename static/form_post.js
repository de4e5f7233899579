// Sends the authorization response on without a click (OAuth 2.0 Form Post Response Mode §2). Without script the button does it.
// The prototype's submit, because a response field named "submit" would hide the form's own.
HTMLFormElement.prototype.submit.call(document.getElementById("form-post"));
