package contract_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/contract"
)

// An empty body goes out as it is: with its length, not in chunks.
func TestTransport_LeavesNoBodyAsItIs(t *testing.T) {
	for _, body := range []io.Reader{nil, http.NoBody, strings.NewReader("")} {
		var head http.Header
		var encoding []string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			head, encoding = r.Header, r.TransferEncoding
			w.WriteHeader(http.StatusForbidden)
		}))
		transport, findings := checking(t, &http.Transport{}, contract.Options{})
		resp, err := transport.RoundTrip(post(t, server.URL, body))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		server.Close()
		require.Equal(t, "0", head.Get("Content-Length"))
		require.Empty(t, encoding)
		require.Equal(t, found("drift status", requestNote), distinct(*findings))
	}
}

// The transport sends again by GetBody what was lost with a connection that had been kept: that body is
// checked, and the answer is to that one.
func TestTransport_ChecksABodyThatIsSentAgain(t *testing.T) {
	answer := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
	body := list(row("a"))
	server := raw(t, func(c net.Conn, in *bufio.Reader) {
		first, err := http.ReadRequest(in)
		if err == nil {
			_, _ = io.Copy(io.Discard, first.Body)
			_, _ = fmt.Fprintf(c, answer, len(body), body)
			if second, err := http.ReadRequest(in); err == nil {
				_, _ = io.Copy(io.Discard, second.Body) // and the connection is closed without an answer
			}
		}
	}, func(c net.Conn, in *bufio.Reader) {
		again, err := http.ReadRequest(in)
		if err == nil {
			_, _ = io.Copy(io.Discard, again.Body)
			_, _ = fmt.Fprintf(c, answer, len(body), body)
		}
	})
	transport, findings := checking(t, &http.Transport{}, contract.Options{})
	client := http.Client{Transport: transport}
	for range 2 {
		r := post(t, server, strings.NewReader(`{"mirror_topic_names":["a"]}`))
		r.Header.Set("Idempotency-Key", "x") // so that net/http sends it again
		r.GetBody = func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(`{"mirror_topic_names":["b"]}`)), nil
		}
		resp, err := client.Do(r)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	require.Equal(t, found("violation topic-missing", "violation topic-unasked"), distinct(*findings))
}

// A few bytes of gzip can be many when they are taken out of it.
func TestTransport_BoundsWhatIsDecoded(t *testing.T) {
	x := good()
	x.answer = list(row("a"), row("b", `"new":"`+strings.Repeat("x", 1<<20)+`"`,
		`"error_code":null,"error_message":null`, lags, rest))
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, x.answer)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	x.answer = b.String()
	x.sends.Set("Accept-Encoding", "gzip")
	x.answers.Set("Content-Encoding", "gzip")
	findings, _ := x.exchange(t, contract.Options{MaxBody: 1 << 20})
	require.Equal(t, found("note unchecked"), distinct(findings))
	findings, _ = x.exchange(t, contract.Options{})
	require.Empty(t, findings)
}

// A body that is closed early is no fault of its encoding.
func TestTransport_SaysThatAnEncodedBodyWasNotRead(t *testing.T) {
	for _, n := range []int64{0, 5, 50} {
		x := good()
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, err := io.WriteString(w, x.answer)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		transport, findings := checking(t, roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(&b), Header: http.Header{
				"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"},
			}}, nil
		}), contract.Options{})
		resp, err := transport.RoundTrip(post(t, "http://127.0.0.1:1", http.NoBody))
		require.NoError(t, err)
		_, err = io.CopyN(io.Discard, resp.Body, n)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, "the body was not read to its end", (*findings)[1].Detail)
	}
}

// json.Decoder stops reading where the document ends.
func TestTransport_ChecksABodyOfWhichTheEndIsNotRead(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		want   []string
	}{
		"a document": {list(row("a"), row("a")), found(requestUnchecked, "violation topic-twice")},
		"half of it": {list(row("a"))[:200], found("note unchecked", requestUnchecked)},
	} {
		t.Run(name, func(t *testing.T) {
			transport, findings := checking(t, answering(io.NopCloser(strings.NewReader(c.answer))), contract.Options{})
			resp, err := transport.RoundTrip(post(t, "http://127.0.0.1:1", strings.NewReader("{}")))
			require.NoError(t, err)
			_, err = io.ReadFull(resp.Body, make([]byte, len(c.answer)))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.NoError(t, resp.Body.Close(), "it may be closed again")
			require.Equal(t, c.want, distinct(*findings))
		})
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, list(row("a"), row("a")))
		w.(http.Flusher).Flush() // so that it comes in chunks
	}))
	defer server.Close()
	transport, findings := checking(t, &http.Transport{}, contract.Options{})
	resp, err := transport.RoundTrip(post(t, server.URL, strings.NewReader(`{"mirror_topic_names":["a"]}`)))
	require.NoError(t, err)
	require.NoError(t, json.NewDecoder(resp.Body).Decode(new(any)))
	require.NoError(t, resp.Body.Close())
	require.Equal(t, found("violation topic-twice"), distinct(*findings))
}
