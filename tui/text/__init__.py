"""Text as the interface shows it: formatting, wrapping, Markdown, emoji, translation."""
