//! SQLSTATE to store errors.
