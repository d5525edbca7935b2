"""The widgets of the interface, one a file: they show frozen views and post messages upwards."""
