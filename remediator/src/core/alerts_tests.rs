//! Deliveries by tables.
