//! What a session token costs: minting and verifying one, beside the bare HMAC of the same bytes.
//!
//! ```sh
//! cargo bench -p platools --features jwt --bench session_token
//! ```
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::FutureExt as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use platools::SecretSource;
use platools::session_token::{SessionClaims, SessionScope, SessionTokens};
use platools::session_token::{TokenVerifier, UserIdentity};
use platools::verify::Secret;
use sha2::Sha256;

const SECRET: &str = "b7f1c2d3e4f5a6978899aabbccddeeff00112233445566778899aabbccddeeff";

/// Claims with everything that a token usually has.
fn claims() -> SessionClaims {
    SessionClaims::for_user("usr_01HZX4T6Q8").lifetime(Duration::from_secs(900))
}

fn full_claims() -> SessionClaims {
    claims()
        .user_token("opaque-proof-of-the-user-0123456789")
        .agent("agt_support")
        .name("Ada Lovelace")
        .email("ada@example.com")
        .identity(UserIdentity::new("email", "ada@example.com").verified(true))
        .permission("orders:read")
        .claim("plan", "pro")
}

fn tokens() -> SessionTokens {
    let scope = SessionScope::new("org_01HZX4T6Q8", "proj_01HZX4T6Q8", "env_prod", "orders-prod");
    SessionTokens::local(SecretSource::text(SECRET), scope).unwrap()
}

/// Mints without a runtime: a secret that never changes leaves nothing to wait for.
fn mint(tokens: &SessionTokens, claims: SessionClaims) -> String {
    tokens.mint(claims).now_or_never().unwrap().unwrap().as_str().to_owned()
}

fn session_token(criterion: &mut Criterion) {
    let tokens = tokens();
    let verifier = TokenVerifier::new(&Secret::new(SECRET).unwrap());
    for (name, claims) in [("required claims", claims()), ("all claims", full_claims())] {
        let token = mint(&tokens, claims.clone());
        let signed = token.rsplit_once('.').unwrap().0;
        let mut group = criterion.benchmark_group(format!("{name}, {} bytes", token.len()));
        group.bench_function("mint", |bencher| {
            bencher.iter(|| tokens.mint(black_box(claims.clone())).now_or_never().unwrap().unwrap());
        });
        group
            .bench_function("verify", |bencher| bencher.iter(|| verifier.verify(black_box(&token)).unwrap()));
        let keyed = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        group.bench_function("bare HMAC-SHA256", |bencher| {
            bencher.iter(|| keyed.clone().chain_update(black_box(signed)).finalize().into_bytes());
        });
        group.finish();
    }
}

criterion_group!(benches, session_token);
criterion_main!(benches);
