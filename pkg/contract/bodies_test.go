package contract_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/contract"
)

// checking returns a transport over base, and what it finds.
func checking(t *testing.T, base http.RoundTripper, o contract.Options) (*contract.Transport, *[]contract.Finding) {
	t.Helper()
	var findings []contract.Finding
	transport, err := contract.NewTransport(base, func(f contract.Finding) { findings = append(findings, f) }, o)
	require.NoError(t, err)
	return transport, &findings
}

// post makes a request of a good exchange.
func post(t *testing.T, server string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server+good().target, body)
	require.NoError(t, err)
	r.Header = good().sends
	return r
}

// answering is a fake that answers 200 as JSON without reading the request.
func answering(body io.ReadCloser) http.RoundTripper {
	return roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: body,
		}, nil
	})
}

// A server may answer before it has read the request, and the transport then stops sending.
func TestTransport_JudgesOnlyABodyThatWasSentToItsEnd(t *testing.T) {
	for _, c := range []struct {
		status            int
		mediaType, answer string
	}{
		{200, "application/json", list(row("a"))},
		{400, "application/json", `{"error_code":400}`},
		{429, "text/html", "<html>"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.mediaType)
			w.Header().Set("Connection", "close")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.answer)
		}))
		transport, findings := checking(t, &http.Transport{}, contract.Options{})
		pipe, sending := io.Pipe()
		go func() { _, _ = io.WriteString(sending, `{"mirror_topic_names":["a"`) }() // and no more
		resp, err := transport.RoundTrip(post(t, server.URL, pipe))
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, found(requestUnchecked), distinct(*findings))
		require.NoError(t, sending.Close())
		server.Close()
	}
}

// A body that is still on its way when the answer begins is checked with the answer's body.
func TestTransport_JudgesALateBodyWithTheAnswer(t *testing.T) {
	pipe, sending := io.Pipe()
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		answer, answered := io.Pipe()
		go func() {
			_, err := io.Copy(io.Discard, r.Body)
			_ = answered.CloseWithError(errors.Join(err, io.EOF))
		}()
		return answering(answer).RoundTrip(r)
	})
	transport, findings := checking(t, base, contract.Options{})
	resp, err := transport.RoundTrip(post(t, "http://127.0.0.1:1", pipe))
	require.NoError(t, err)
	require.Empty(t, *findings)
	_, err = io.WriteString(sending, `{"mirror_topic_names":"a"}`)
	require.NoError(t, err)
	require.NoError(t, sending.Close())
	_, err = io.Copy(io.Discard, resp.Body)
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, found(requestNote, requestViolation, "violation syntax"), distinct(*findings))
}

// raw serves each connection with a function of its bytes, one after another.
func raw(t *testing.T, serve ...func(net.Conn, *bufio.Reader)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var done sync.WaitGroup
	done.Go(func() {
		for _, f := range serve {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			f(c, bufio.NewReader(c))
			_ = c.Close()
		}
	})
	t.Cleanup(func() { _ = listener.Close(); done.Wait() })
	return "http://" + listener.Addr().String()
}

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

// If it is not known which body was answered, rows are not held to its names.
func TestTransport_DoesNotGuessWhatWasAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		body  string
		again int // bytes of the body when it is sent again
		want  []string
	}{
		"sent again to its end": {
			`{"mirror_topic_names":["b"]}`, 100, found("violation topic-missing", "violation topic-unasked"),
		},
		"sent again in part": {`{"mirror_topic_names":["b"]}`, 5, found(requestUnchecked)},
		"more wrong than is counted": {
			`{"mirror_topic_names":["b",` + strings.Repeat("0,", 2000) + `0]}`, 9999, found(requestUnchecked, requestViolation),
		},
	} {
		t.Run(name, func(t *testing.T) {
			transport, findings := checking(t, roundTripper(func(r *http.Request) (*http.Response, error) {
				_, err := io.Copy(io.Discard, r.Body)
				require.NoError(t, err)
				again, err := r.GetBody()
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, io.LimitReader(again, int64(c.again)))
				require.NoError(t, err)
				return answering(io.NopCloser(strings.NewReader(list(row("a"))))).RoundTrip(r)
			}), contract.Options{})
			resp, err := transport.RoundTrip(post(t, "http://127.0.0.1:1", strings.NewReader(c.body)))
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			require.Equal(t, c.want, distinct(*findings))
		})
	}
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

func TestTransport_SaysThatASelfLinkIsEmpty(t *testing.T) {
	x := good()
	x.answer = strings.Replace(x.answer, `"http://h/kafka/v3/clusters/lkc-local/links/link-1/mirrors/x"`, `""`, 1)
	findings, _ := x.exchange(t, contract.Options{})
	require.Len(t, findings, 1)
	require.Equal(t, "note self: request 1, POST "+reverse+": answer 200 at /metadata/self: it is empty", findings[0].String())
}

func TestTransport_JudgesARequestThatIsLost(t *testing.T) {
	lost := errors.New("lost")
	transport, findings := checking(t, roundTripper(func(r *http.Request) (*http.Response, error) {
		_, err := io.Copy(io.Discard, r.Body)
		return nil, errors.Join(lost, err)
	}), contract.Options{})
	r := post(t, "http://127.0.0.1:1", strings.NewReader(`{"mirror_topic_names":7}`))
	r.URL.RawQuery = "validate_only=1"
	_, err := transport.RoundTrip(r)
	require.ErrorIs(t, err, lost)
	require.Equal(t, found(requestNote, requestViolation), distinct(*findings))
	require.Len(t, *findings, 3)
	require.Zero(t, (*findings)[0].Status)

	transport, findings = checking(t, roundTripper(func(*http.Request) (*http.Response, error) { return nil, lost }),
		contract.Options{})
	_, err = transport.RoundTrip(post(t, "http://127.0.0.1:1", strings.NewReader(`{"mirror_topic_names":7}`)))
	require.ErrorIs(t, err, lost)
	require.Equal(t, found(requestUnchecked), distinct(*findings), "its body was not sent")
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

func TestTransport_TakesWhatFakesAnswer(t *testing.T) {
	for _, body := range []io.ReadCloser{nil, http.NoBody} {
		transport, findings := checking(t, answering(body), contract.Options{})
		resp, err := transport.RoundTrip(post(t, "http://127.0.0.1:1", http.NoBody))
		require.NoError(t, err)
		require.Equal(t, body, resp.Body)
		require.Equal(t, found(requestNote, "violation syntax"), distinct(*findings))
	}
	transport, findings := checking(t, roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, nil //nolint:nilnil // as a fake may
	}), contract.Options{})
	resp, err := transport.RoundTrip(post(t, "http://127.0.0.1:1", http.NoBody))
	require.NoError(t, err)
	require.Nil(t, resp)
	require.Equal(t, found(requestNote), distinct(*findings))
}

// The work is bounded by the bytes of the body, and so is what is told.
func TestTransport_WorksInProportionToTheBody(t *testing.T) {
	many := func(s string, n int) string { return strings.TrimSuffix(strings.Repeat(s+",", n), ",") }
	deep := strings.Repeat("[", 9000) + strings.Repeat("]", 9000)
	for name, answer := range map[string]string{
		"numbers in place of rows": `{` + meta + `,"data":[` + many("0", 20_000) + `]}`,
		"numbers in place of lags": list(row(
			"a", `"error_code":null,"error_message":null`, `"mirror_lags":[`+many("0", 20_000)+`]`, rest,
		)),
		"empty rows":                  `{` + meta + `,"data":[` + many("{}", 20_000) + `]}`,
		"the same row":                list(slices.Repeat([]string{row("a")}, 2000)...),
		"members that are undeclared": `{` + meta + `,"data":[],"x":{` + many(`"a":0`, 20_000) + `}}`,
		"deep":                        `{` + meta + `,"data":[],"x":` + deep + `}`,
		"deep in place of a row":      `{` + meta + `,"data":[` + deep + `]}`,
		"deep objects":                strings.Repeat(`{"data":`, 9000) + "1" + strings.Repeat("}", 9000),
		"many notes":                  `{` + meta + `,"data":[` + many(`{"metadata":{"self":""}}`, 20_000) + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			transport, findings := checking(t, answering(io.NopCloser(strings.NewReader(answer))), contract.Options{})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			resp, err := transport.RoundTrip(post(t, "http://127.0.0.1:1", http.NoBody))
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			runtime.ReadMemStats(&after)
			allocated := after.TotalAlloc - before.TotalAlloc
			if testing.Verbose() {
				fmt.Printf("%-30s %8d bytes, %10d allocated, %3d findings\n", name, len(answer), allocated, len(*findings))
			}
			// The OpenAPI library takes some 700 bytes for each byte that is wrong within one row, and twice as
			// many with the race detector.
			require.Less(t, allocated, uint64(2000*len(answer)+1<<20))
			require.LessOrEqual(t, len(*findings), 302)
			if len(*findings) > 100 {
				require.Equal(t, "and more", (*findings)[len(*findings)-1].Detail)
			}
			for _, f := range *findings {
				require.LessOrEqual(t, len(f.Pointer), 1024)
			}
		})
	}
}

// The callback may use the transport, and may end its goroutine.
func TestTransport_CallbackMayUseIt(t *testing.T) {
	var transport *contract.Transport
	var rules []string
	running := false
	send := func() {
		resp, err := transport.RoundTrip(post(t, "http://127.0.0.1:1", http.NoBody))
		require.NoError(t, err)
		require.NotNil(t, resp)
	}
	transport, err := contract.NewTransport(answering(nil), func(f contract.Finding) {
		require.False(t, running, "it is called once at a time")
		running = true
		defer func() { running = false }()
		rules = append(rules, f.Rule)
		if len(rules) == 1 {
			send()
			runtime.Goexit()
		}
	}, contract.Options{})
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		send()
	}()
	<-done
	send()
	require.Equal(t, []string{"request", "request", "syntax", "request", "syntax"}, rules)
}

func TestTransport_NamesAnUndeclaredParameterUnlessItMayBeASecret(t *testing.T) {
	for query, want := range map[string]string{
		"dry_run=true":                        `the query parameter "dry_run" is not declared`,
		"x=&x=1":                              `the query parameter "x" is not declared`,
		secret:                                "a query parameter is not declared",
		secret + "=&" + secret + "=":          "a query parameter is not declared",
		strings.Repeat("x", 41) + "=1":        "a query parameter is not declared",
		"validate_only=true&validate_only=no": "the query parameter validate_only is there 2 times",
	} {
		x := good()
		x.target = reverse + "?" + query
		findings, _ := x.exchange(t, contract.Options{})
		require.Len(t, findings, 1)
		require.Equal(t, want, findings[0].Detail)
	}
}

func TestTransport_TellsOfATopicOnce(t *testing.T) {
	x := good()
	x.body, x.answer = `{"mirror_topic_names":["a","a","b","a"]}`, list(row("b"), row("c"), row("c"), row("b"))
	findings, _ := x.exchange(t, contract.Options{})
	var says []string
	for _, f := range findings {
		says = append(says, f.Rule+" "+f.Pointer)
	}
	require.Equal(t, []string{
		"topic-unasked /data/1/mirror_topic_name", "topic-twice /data/2/mirror_topic_name",
		"topic-twice /data/3/mirror_topic_name", "topic-missing /data",
	}, says)
}
