//! A document on an object store.

use larder_storage::{Key, PutIf};

use super::*;
use crate::servers::{Server, on_each_server};

/// What `larder kv ARGS` prints that knows of the server by its environment.
#[track_caller]
fn printed(server: &Server, args: &[&str]) -> Output {
    let mut command = larder();
    let settings = server.settings();
    command.envs(settings.iter().map(|(name, value)| (name.to_ascii_uppercase(), value)));
    let at = server.url("command");
    command.arg("kv").args(args).args(["--document", &at]).output().unwrap()
}

#[test]
fn a_document_on_a_store_is_a_cache_too() {
    on_each_server("documents named by the command", |server| {
        let done = |args: &[&str]| {
            let output = printed(server, args);
            assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
            text(&output.stdout)
        };
        let miss = printed(server, &["get", "genes", "a"]);
        assert!(text(&miss.stderr).contains("there is no document"), "{}", text(&miss.stderr));
        done(&["set", "genes", "a", "[1, 2]"]);
        done(&["set", "genes", "b", "2"]);
        assert_eq!(done(&["get", "genes", "a"]), "[1, 2]\n");
        assert_eq!(done(&["rm", "genes", "b"]), "removed 1 of 1\n");
        assert_eq!(done(&["keys", "genes"]), "a\n");
        done(&["verify", "genes"]);

        let (storage, key) = (server.reopen("command"), Key::new("genes.json").unwrap());
        storage.put(&key, "{\"a\": ".into(), PutIf::Always).unwrap();
        let refused = printed(server, &["get", "genes", "a"]);
        assert!(text(&refused.stderr).contains("damaged"), "{}", text(&refused.stderr));
        let moved = done(&["repair", "genes"]);
        assert!(moved.contains("/quarantine/"), "{moved}");
        assert_eq!(done(&["keys", "genes"]), "");
    });
}
