package peer

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"time"

	"github.com/pawlhq/pawl/fsm"
)

// Identity is who this process is. It does not change while the process runs,
// except for what Net.Admit sets.
type Identity struct {
	ClusterID   string             // empty until known; letters, digits, dots and dashes
	Genesis     [16]byte           // zero until admitted to a cluster
	Incarnation uint8              // raised when people override consensus
	Node        fsm.NodeID         // the life of one disk
	Key         ed25519.PrivateKey // proves Node
	Boot        uint32             // raised and stored before each start
	Nonce       [16]byte           // random, new for each process
}

// Fingerprint is the SHA-256 of a node's public key.
type Fingerprint [sha256.Size]byte

// FingerprintOf is the fingerprint of key.
func FingerprintOf(key ed25519.PublicKey) Fingerprint { return sha256.Sum256(key) }

// IsZero reports whether f is no fingerprint.
func (f Fingerprint) IsZero() bool { return f == Fingerprint{} }

// String gives f in lower-case hexadecimal digits.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

const (
	uriScheme = "pawl"
	uriPath   = "/server/" // the role and, behind it, the node id

	// certificateYears is how long a self-made certificate says it is valid.
	// Nobody looks: the key stands for the node, and a new certificate is made
	// at each start.
	certificateYears = 10
)

var errCertificate = errors.New("not the certificate of a node")

// certificate makes the certificate that names id's node and cluster, signed
// with the node's own key.
func certificate(id Identity) (*tls.Certificate, error) {
	if len(id.Key) != ed25519.PrivateKeySize {
		return nil, errors.New("make certificate: no node key")
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: id.Node.String()},
		NotBefore:    now.AddDate(-1, 0, 0),
		NotAfter:     now.AddDate(certificateYears, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		URIs:         []*url.URL{{Scheme: uriScheme, Host: id.ClusterID, Path: uriPath + id.Node.String()}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, id.Key.Public(), id.Key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make certificate: cluster id %q: %w", id.ClusterID, err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: id.Key, Leaf: leaf}, nil
}

// bearer is what a peer's certificate says, with the possession of its key
// proven by the TLS handshake.
type bearer struct {
	cluster string
	node    fsm.NodeID
	key     Fingerprint
}

// readCertificate takes the names out of the peer's leaf certificate.
func readCertificate(cs tls.ConnectionState) (bearer, error) {
	var b bearer
	if len(cs.PeerCertificates) == 0 {
		return b, errCertificate
	}
	leaf := cs.PeerCertificates[0]
	key, ok := leaf.PublicKey.(ed25519.PublicKey)
	if !ok || len(leaf.URIs) != 1 {
		return b, errCertificate
	}
	uri := leaf.URIs[0]
	text, ok := strings.CutPrefix(uri.Path, uriPath)
	if !ok || uri.Scheme != uriScheme {
		return b, errCertificate
	}
	node, err := fsm.ParseNodeID(text)
	if err != nil {
		return b, errCertificate
	}
	return bearer{cluster: uri.Host, node: node, key: FingerprintOf(key)}, nil
}

// tlsConfig is the configuration of both sides. The usual verification is off
// because there is no chain to verify: readCertificate and judge decide.
func tlsConfig(classes []string, current func() *tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         classes,
		InsecureSkipVerify: true,
		ClientAuth:         tls.RequireAnyClientCert,
		// A resumed session would skip the proof of the key; and over an
		// unbuffered pipe the ticket would wait for a reader that waits too.
		SessionTicketsDisabled: true,
		// Small records make a page show early; here each costs a system call.
		DynamicRecordSizingDisabled: true,
		GetCertificate:              func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return current(), nil },
		GetClientCertificate:        func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return current(), nil },
		VerifyConnection: func(cs tls.ConnectionState) error {
			_, err := readCertificate(cs)
			return err
		},
	}
}
