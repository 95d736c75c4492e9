//! `[fleet]`: from the file to the replicas that share the connections.

use platools_fleet::Fleet;

use super::Planner;
use crate::config::Entry;

impl Planner<'_> {
    pub(super) fn fleet(&mut self) -> Option<Fleet> {
        let sections = self.sections;
        let Entry { at, value: file } = sections.fleet.as_ref()?;
        let servers = Fleet::new(&file.servers.join(",")).map_err(|error| error.to_string());
        let mut fleet = self.noted(&at.key("servers"), servers)?;
        let logins = [
            ("credentials_file", &file.credentials_file),
            ("nkey_file", &file.nkey_file),
            ("token_file", &file.token_file),
        ];
        if logins.iter().filter(|(_, path)| path.is_some()).count() > 1 {
            self.wrong(at, "write one of `credentials_file`, `nkey_file` and `token_file`");
        }
        for (key, path) in logins {
            let Some(path) = path else { continue };
            self.read_file(&at.key(key), path)?;
            let path = self.file(&at.key(key), path);
            fleet = match key {
                "credentials_file" => fleet.with_credentials_file(path),
                "nkey_file" => fleet.with_nkey_file(path),
                _ => fleet.with_token_file(path),
            };
        }
        if let Some(path) = &file.ca_file {
            self.read_file(&at.key("ca_file"), path)?;
            fleet = fleet.with_ca_file(self.file(&at.key("ca_file"), path));
        }
        if let Some(build) = &file.build {
            fleet = fleet.with_build(build);
        }
        if let Some(replicas) = file.store_replicas {
            if !(1..=5).contains(&replicas) {
                self.wrong(&at.key("store_replicas"), "write a number from 1 to 5");
            }
            fleet = fleet.with_store_replicas(replicas);
        }
        Some(fleet.with_optional(file.optional).with_gateway_serving(file.gateway_serves.unwrap_or(true)))
    }
}
