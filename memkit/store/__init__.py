"""The store, on disk or at a URL: trained runs, measurements, leases and what they depend on."""
