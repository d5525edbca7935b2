"""The screens and dialogs of the interface, one per file with its style sheet next to it."""
