"""The store, on disk or at a URL: trained runs, measurements, leases, and the files that results depend on."""
