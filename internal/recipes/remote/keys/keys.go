// Package keys makes the secrets with which callers, workers and a NATS server
// recognize each other, and reads them. They are files in a folder, so that
// each machine can have only those that it needs.
package keys

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nkeys"
)

// Dir is a folder of keys.
type Dir string

// The files of a folder. The NKeys are seeds: the secret from which NATS
// computes both halves of a key pair.
const (
	Certificate = "server.pem" // of whoever listens; whoever connects trusts no other
	PrivateKey  = "server.key" // of that certificate
	Token       = "token"      // with which a caller of httpwork proves itself
	CallerNKey  = "caller.nk"  // with which a caller proves itself to a NATS server
	WorkerNKey  = "worker.nk"  // with which a worker does
)

// life is the time until the certificate expires.
const life = 365 * 24 * time.Hour

// Make makes the folder, and new keys in it. The certificate is for servers on
// this machine and on the hosts, which are names or IP addresses. If the folder
// is there already, Make leaves it alone and fails.
func (d Dir) Make(hosts ...string) error {
	certificate, key, err := selfSigned(append(hosts, "localhost", "127.0.0.1"))
	if err != nil {
		return err
	}
	files := map[string][]byte{
		Certificate: certificate,
		PrivateKey:  key,
		Token:       []byte(rand.Text() + "\n"),
	}
	for _, name := range []string{CallerNKey, WorkerNKey} {
		user, err := nkeys.CreateUser()
		if err != nil {
			return err
		}
		if files[name], err = user.Seed(); err != nil {
			return err
		}
	}
	if err := os.Mkdir(string(d), 0o700); err != nil {
		return err
	}
	for name, data := range files {
		if err := d.Write(name, data); err != nil {
			return err
		}
	}
	return nil
}

// Write writes a file that only this user can read, and that must be new.
func (d Dir) Write(name string, data []byte) error {
	f, err := os.OpenFile(d.Path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// Path returns the path of a file.
func (d Dir) Path(name string) string { return filepath.Join(string(d), name) }

// Server returns the configuration of whoever listens.
func (d Dir) Server() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(d.Path(Certificate), d.Path(PrivateKey))
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}, nil
}

// Client returns the configuration of whoever connects. It trusts only servers
// with the certificate of this folder.
func (d Dir) Client() (*tls.Config, error) {
	certificate, err := os.ReadFile(d.Path(Certificate))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(certificate) {
		return nil, fmt.Errorf("no certificate in %s", d.Path(Certificate))
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, nil
}

// Token returns the token. An empty one would let everybody in, so it is an
// error, and so is one that is short enough to guess.
func (d Dir) Token() (string, error) {
	text, err := os.ReadFile(d.Path(Token))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if len(token) < len(rand.Text()) {
		return "", fmt.Errorf("the token in %s is too short", d.Path(Token))
	}
	return token, nil
}

// NKey returns the key pair in a file. The caller wipes it.
func (d Dir) NKey(name string) (nkeys.KeyPair, error) {
	seed, err := os.ReadFile(d.Path(name))
	if err != nil {
		return nil, err
	}
	pair, err := nkeys.FromSeed(seed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Path(name), err)
	}
	return pair, nil
}

// selfSigned makes a certificate that is its own authority: whoever trusts it
// trusts nothing else, and no key is left with which more could be issued.
func selfSigned(hosts []string) (certificate, privateKey []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: rand.Text()}, // or other keys would seem to be a forgery of these
		NotBefore:    time.Now().Add(-time.Hour),         // clocks differ
		NotAfter:     time.Now().Add(life),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}
