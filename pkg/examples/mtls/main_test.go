package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/examples/internal/program"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestMain(m *testing.M) { program.Main(m, main) }

// authority is a CA.
type authority struct{ tls.Certificate }

// issue makes a certificate, signed by the CA; by itself if there is none.
func (ca *authority) issue(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	certificate := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:        ca == nil, BasicConstraintsValid: true,
	}
	parent, signer := certificate, any(key)
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, certificate, parent, key.Public(), signer)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// write writes a certificate and its key into the folder.
func write(t *testing.T, folder, name string, c tls.Certificate) (certFile, keyFile string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	require.NoError(t, err)
	certFile, keyFile = filepath.Join(folder, name+".pem"), filepath.Join(folder, name+".key")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: key},
	} {
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	}
	return certFile, keyFile
}

// secured returns a pair whose local cluster asks for a certificate of the CA, and the names of those that called.
func secured(t *testing.T, ca *authority) (pair *mirrortest.Pair, callers func() []string) {
	t.Helper()
	pair = mirrortest.NewPair(t, mirrortest.Options{NoCredential: true})
	var mu sync.Mutex
	var names []string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		names = append(names, r.TLS.PeerCertificates[0].Subject.CommonName)
		mu.Unlock()
		pair.Local.ServeHTTP(w, r)
	}))
	roots := x509.NewCertPool()
	roots.AddCert(ca.Leaf)
	server.TLS = &tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots,
		Certificates: []tls.Certificate{ca.issue(t, "cluster")},
	}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // handshakes fail on purpose
	server.StartTLS()
	t.Cleanup(server.Close)
	pair.Local.Endpoint = server.URL
	return pair, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(names)
	}
}

func TestMTLS_ShowsTheCertificateOfTheMoment(t *testing.T) {
	ca, folder := &authority{(*authority)(nil).issue(t, "ca")}, t.TempDir()
	pair, callers := secured(t, ca)
	caFile, _ := write(t, folder, "ca", ca.Certificate)
	certFile, keyFile := write(t, folder, "client", ca.issue(t, "first"))
	transport, err := mutual(certFile, keyFile, caFile)
	require.NoError(t, err)
	client, err := mirror.NewClient(mirror.Config{
		Endpoint: pair.Local.Endpoint, ClusterID: pair.Local.ID, Credential: mirror.NoCredential(), Transport: transport,
	})
	require.NoError(t, err)
	_, err = client.Mirrors(t.Context(), pair.Link())
	require.NoError(t, err)
	write(t, folder, "client", ca.issue(t, "renewed"))
	_, err = client.Mirrors(t.Context(), pair.Link())
	require.NoError(t, err)
	require.Equal(t, []string{"first", "renewed"}, callers())
}

func TestMTLS_IsAProgram(t *testing.T) {
	ca, other, folder := &authority{(*authority)(nil).issue(t, "ca")}, &authority{(*authority)(nil).issue(t, "ca")}, t.TempDir()
	pair, callers := secured(t, ca)
	caFile, _ := write(t, folder, "ca", ca.Certificate)
	otherFile, _ := write(t, folder, "other", other.Certificate)
	certFile, keyFile := write(t, folder, "client", ca.issue(t, "client"))
	strangerFile, strangerKey := write(t, folder, "stranger", other.issue(t, "stranger"))
	for what, c := range map[string]struct {
		args []string
		fits bool
	}{
		"the right certificate":           {[]string{certFile, keyFile, caFile}, true},
		"a certificate of another CA":     {[]string{strangerFile, strangerKey, caFile}, false},
		"a server of another CA":          {[]string{certFile, keyFile, otherFile}, false},
		"a CA file that is no CA":         {[]string{certFile, keyFile, keyFile}, false},
		"a certificate that is not there": {[]string{certFile + "x", keyFile, caFile}, false},
	} {
		before := len(callers())
		cmd := program.Command(t, pair.Local, append(c.args, pair.Link(), "topic-1")...)
		out, err := cmd.CombinedOutput()
		require.Equal(t, c.fits, err == nil, "%s: %s", what, out)
		require.Equal(t, c.fits, len(callers()) > before, "%s: %s", what, out)
	}
}
