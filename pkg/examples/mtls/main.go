// Mtls is a program to copy. A client certificate identifies the caller, and a private CA identifies the server. The
// program makes a dry run, which is the way to try a certificate. A server may refuse a certificate only after
// reading the request. The outcome of a call that changes topics is then unknown.
//
//	mtls client.pem client.key ca.pem dr-link orders payments
//
// The cluster that holds the mirror topics comes from KAFKA_REST_ENDPOINT and KAFKA_CLUSTER_ID.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log"
	"net/http"
	"os"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

func main() {
	if len(os.Args) < 6 {
		log.Fatal("usage: mtls CERTIFICATE KEY CA LINK TOPIC...")
	}
	transport, err := mutual(os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	client, err := mirror.NewClient(mirror.Config{
		Endpoint: os.Getenv("KAFKA_REST_ENDPOINT"), ClusterID: os.Getenv("KAFKA_CLUSTER_ID"),
		Credential: mirror.NoCredential(), Transport: transport,
	})
	if err != nil {
		log.Fatal(err)
	}
	link, topics := os.Args[4], mirror.Topics(os.Args[5:]...)
	report, err := client.Validate(context.Background(), mirror.VerbReverseAndPause, link, topics)
	if err := errors.Join(report.Table(os.Stdout), err); err != nil {
		log.Fatal(err)
	}
}

// mutual reads the certificate for each connection, so a renewed certificate needs no restart.
func mutual(certFile, keyFile, caFile string) (*http.Transport, error) {
	pem, err := os.ReadFile(caFile) //nolint:gosec // the caller names the file
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		return nil, errors.Join(err, errors.New("no CA in "+caFile))
	}
	transport := mirror.NewTransport()
	transport.TLSClientConfig.RootCAs = roots
	transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
		return &certificate, err
	}
	return transport, nil
}
