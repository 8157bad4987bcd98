//! `tls` of a connection, of the store, and of `[http]`.

table! {
    /// The keys of `tls`. A change is seen in what the files hold.
    keys TlsKeys of () {
        /// Certificates of the certificate authorities to trust.
        ca -> String as Text, else "the system's authorities", written "path, or PEM text";

        /// The client's certificate chain. Needs `tls.key`.
        cert -> String as Text, else "no certificate", written "path, or PEM text";

        /// The client's private key. Needs `tls.cert`.
        key -> String as Secret [hidden], else "no key", written "secret: path, `file:PATH`, or PEM text";
    }
}

table! {
    /// The keys of `tls` of `[http]`. A change is seen in what the files hold.
    keys ServerTlsKeys of () {
        /// The server's certificate chain: first its own certificate, then the intermediate ones.
        cert -> String as Text [required], written "path, or PEM text";

        /// The server's private key.
        key -> String as Secret [required hidden], written "secret: path, `file:PATH`, or PEM text";

        /// Certificates of certificate authorities. With it, a client needs a certificate that one of them signed.
        client_ca -> String as Text, else "clients need no certificate", written "path, or PEM text";
    }
}
