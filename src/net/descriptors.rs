//! File descriptors: each connection takes two, and the usual soft limit is 1024.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the rest of the service has open.
const OTHERS: u64 = 256;

/// Lifts this process's soft limit to the hard one, and says when that is too little for so many
/// connections.
pub fn allow_connections(most: usize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some() && current != maximum {
        let lifted = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        if let Err(error) = lifted {
            tracing::warn!(%error, "the limit of file descriptors stays what it was");
        }
    }
    let Some(allowed) = getrlimit(Resource::Nofile).current else { return };
    let needed = u64::try_from(most).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(OTHERS);
    if allowed < needed {
        tracing::warn!(
            allowed,
            needed,
            "fewer file descriptors than listener.connections may take: raise the hard limit \
             (ulimit -Hn, LimitNOFILE=) or lower the setting"
        );
    }
}
