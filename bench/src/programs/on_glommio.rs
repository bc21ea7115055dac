//! The fan-out program on glommio.

use std::io;
use std::net::TcpListener;
use std::rc::Rc;

use bytes::Bytes;
use futures_lite::{AsyncReadExt, AsyncWriteExt as _};
use glommio::net::TcpStream;
use glommio::{LocalExecutorBuilder, Placement};

use super::tasks::{Feed, Socket};
use crate::Failure;

/// The process is pinned by whoever starts it, so the executor is not.
pub(crate) fn fanout(listener: TcpListener) -> Result<(), Failure> {
    let executor = LocalExecutorBuilder::new(Placement::Unbound).make().map_err(text)?;
    executor.run(async {
        // It takes no listener that is there already, nor a size of send buffers: the kernel
        // chooses.
        let address = listener.local_addr()?;
        drop(listener);
        let listener = glommio::net::TcpListener::bind(address).map_err(text)?;
        let feed = Feed::new();
        loop {
            let stream = listener.accept().await.map_err(text)?;
            stream.set_nodelay(true).map_err(text)?;
            glommio::spawn_local(Rc::clone(&feed).serve(stream)).detach();
        }
    })
}

impl Socket for TcpStream {
    async fn read(&mut self, mut buf: Vec<u8>) -> io::Result<Vec<u8>> {
        let begin = buf.len();
        buf.resize(begin + READ_BYTES, 0);
        let read = AsyncReadExt::read(self, &mut buf[begin..]).await?;
        buf.truncate(begin + read);
        Ok(buf)
    }

    async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        self.write_all(&bytes).await
    }
}

/// Its errors cannot go to another thread.
fn text(error: glommio::GlommioError<()>) -> String {
    error.to_string()
}

const READ_BYTES: usize = 1024;
