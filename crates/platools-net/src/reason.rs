//! The reason at the end of a chain of errors, as text that holds no URL.

use std::error::Error;
use std::io;

use rustls::{CertificateError, Error as TlsError};

/// The reason where the other side answers something else than TLS.
const NO_TLS: &str = "what answers there speaks no TLS: if it is meant to be unencrypted, begin the URL with `ws://` or `http://`";

/// Returns the innermost reason of a failed connection or request: the outer ones say only that it failed, and may
/// quote the URL. For a certificate that is not trusted it also says what to do.
pub fn innermost_reason(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    loop {
        if let Some(tls) = tls_error(innermost) {
            return of_tls(tls);
        }
        let Some(source) = innermost.source() else { break };
        innermost = source;
    }
    #[cfg(feature = "http-client")]
    if innermost.is::<reqwest::Error>() {
        return "the request failed".to_owned();
    }
    innermost.to_string()
}

/// Finds an error of TLS; an I/O error carries it inside, and not as its source.
fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e TlsError> {
    error.downcast_ref().or_else(|| tls_error(error.downcast_ref::<io::Error>()?.get_ref()?))
}

fn of_tls(error: &TlsError) -> String {
    match error {
        // `BadSignature`: an issuer of the same name as a trusted one, such as a renewed one.
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "the issuer of its certificate is not trusted: give the issuer's certificate with `ca_file`"
                .to_owned()
        }
        // Such as an answer in plain HTTP, which the library takes for a broken record.
        TlsError::InvalidMessage(_) => NO_TLS.to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rustls::InvalidMessage;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("error sending request for https://h/?key=s3cret")]
    struct Outer(#[source] io::Error);

    #[test]
    fn the_innermost_reason_is_given() {
        let refused = Outer(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(innermost_reason(&refused), "connection refused");
        assert_eq!(innermost_reason(&io::Error::other("the name has no address")), "the name has no address");
    }

    #[test]
    fn an_error_of_tls_is_found_and_an_unknown_issuer_says_what_to_do() {
        for (error, reason) in [
            (
                TlsError::InvalidCertificate(CertificateError::UnknownIssuer),
                "give the issuer's certificate with `ca_file`",
            ),
            (
                TlsError::InvalidCertificate(CertificateError::BadSignature),
                "give the issuer's certificate with `ca_file`",
            ),
            (TlsError::InvalidCertificate(CertificateError::Expired), "Expired"),
            (TlsError::HandshakeNotComplete, "handshake not complete"),
            (TlsError::InvalidMessage(InvalidMessage::InvalidContentType), "speaks no TLS"),
        ] {
            let nested = Outer(io::Error::other(io::Error::other(error)));
            let found = innermost_reason(&nested);
            assert!(found.contains(reason) && !found.contains("s3cret"), "{found}");
        }
    }
}
