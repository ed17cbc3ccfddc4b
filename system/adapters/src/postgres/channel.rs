//! The channel's store on PostgreSQL.
