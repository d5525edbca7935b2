"""The screens and dialogs of the interface, one a file with its style sheet beside it."""
