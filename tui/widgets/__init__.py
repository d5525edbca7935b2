"""The widgets of the interface, one per file: they show frozen views and post messages upwards."""
