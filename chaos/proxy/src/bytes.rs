//! Links whose bytes are not understood: pieces are passed on as they come, both ways, and each way's end is passed on too.
//!
//! In: both ends of a connection. Out: the same bytes. Elsewhere: how both ends come about and end (`relay`), what happens to pieces
//! (`socket`).

use tokio::io::copy_bidirectional_with_sizes;

use crate::relay::Stop;
use crate::socket::Socket;

/// For each way, as large as pieces can be.
const BUFFER: usize = 64 * 1024;

/// Passes on until both ways have ended.
pub(crate) async fn pass(caller: &mut Socket, server: &mut Socket) -> Result<(), Stop> {
    copy_bidirectional_with_sizes(caller, server, BUFFER, BUFFER).await?;
    Ok(())
}
