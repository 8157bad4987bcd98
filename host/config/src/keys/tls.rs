//! `tls` of a connection, and of the store.

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
