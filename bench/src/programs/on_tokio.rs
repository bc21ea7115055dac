//! The fan-out program on tokio's single-threaded runtime.

use std::io;
use std::net::TcpListener;
use std::rc::Rc;

use bytes::Bytes;
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::SEND_BUFFER_BYTES;
use super::tasks::{Feed, Socket};
use crate::Failure;

pub(crate) fn fanout(listener: TcpListener) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        // What it accepts inherits the size.
        set_socket_send_buffer_size(&listener, SEND_BUFFER_BYTES)?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let feed = Feed::new();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::task::spawn_local(Rc::clone(&feed).serve(stream));
        }
    })
}

impl Socket for TcpStream {
    async fn read(&mut self, mut buf: Vec<u8>) -> io::Result<Vec<u8>> {
        self.read_buf(&mut buf).await?;
        Ok(buf)
    }

    async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        self.write_all(&bytes).await
    }
}
