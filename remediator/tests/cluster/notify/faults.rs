//! What a receiver may do wrong, and that nothing is lost or told twice because of it.
