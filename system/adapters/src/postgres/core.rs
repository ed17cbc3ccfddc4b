//! Core's store on PostgreSQL.
