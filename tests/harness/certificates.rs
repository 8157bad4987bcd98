//! Certificates made on the spot: authorities, and what they sign.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use crate::keeper;

/// Signs certificates, for a run of the tests.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
    certificate: PathBuf,
}

/// A certificate and its key, as files in PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// The file of the private key.
    pub key: PathBuf,
}

impl Authority {
    /// A new authority, which no client trusts yet. Two with the same name differ in their keys only.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = params(name, &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let folder = keeper::scratch("authority");
        let certificate = folder.join("authority.pem");
        std::fs::write(&certificate, params.self_signed(&key)?.pem())?;
        Ok(Self {
            issuer: Issuer::new(params, key),
            folder,
            certificate,
        })
    }

    /// The file of its own certificate.
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// A server's certificate for these names and addresses.
    pub fn server(&self, label: &str, names: &[&str]) -> Result<Identity> {
        self.sign(label, server_params(names)?)
    }

    /// The same, from long ago: it expired as the first of January 2020 began.
    pub fn expired_server(&self, label: &str, names: &[&str]) -> Result<Identity> {
        let mut params = server_params(names)?;
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
        self.sign(label, params)
    }

    /// A client's certificate; `user` is its common name.
    pub fn client(&self, user: &str) -> Result<Identity> {
        let mut params = params(user, &[])?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(user, params)
    }

    /// An identity of this label replaces the one before it, in the same files.
    fn sign(&self, label: &str, mut params: CertificateParams) -> Result<Identity> {
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let identity = Identity {
            certificate: self.folder.join(format!("{label}.pem")),
            key: self.folder.join(format!("{label}.key")),
        };
        std::fs::write(&identity.certificate, certificate.pem())?;
        std::fs::write(&identity.key, key.serialize_pem())?;
        Ok(identity)
    }
}

fn server_params(names: &[&str]) -> Result<CertificateParams> {
    let mut params = params("broker", names)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn params(common_name: &str, names: &[&str]) -> Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).context("these are no names of hosts")?;
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    Ok(params)
}
