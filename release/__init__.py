"""Makes what people install, all from one set of sources: archive, wheel, bundle, Debian package."""
