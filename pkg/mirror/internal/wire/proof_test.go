package wire

import (
	"context"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const jsonType = "application/json"

// Each row of the table of what a response proves.
func TestProof_EachRowOfTheTable(t *testing.T) {
	const object, wrapped = `{"error_code":40301}`, `{"error_code":40002}`
	const unavailable = "unavailable"
	for name, c := range map[string]struct {
		status    int
		kind      string // the content type
		body      string
		header    []string
		untaken   bool // nothing of the request's body is taken
		proofOnly bool
		proof     Proof
		assumed   bool
		retry     retry
	}{
		"a response before the body is taken":         {status: 503, untaken: true, proof: NotDone, retry: notSent},
		"a 408 before the body is taken":              {status: 408, untaken: true, proof: NotDone, retry: notSent},
		"a refusal before the body is taken is proof": {status: 403, untaken: true, proof: NotDone, retry: never},
		"a 401 before the body is taken":              {status: 401, untaken: true, proof: NotDone, retry: refused},
		"a 200 of another type, nothing taken":        {status: 200, kind: "text/html", untaken: true, proof: Nothing, retry: never},

		"429 unavailable":                     {status: 429, header: []string{"DoSFilter", unavailable}, proof: NotDone, retry: rejected},
		"429 unavailable, with an error_code": {status: 429, kind: jsonType, body: object, header: []string{"DoSFilter", unavailable}, proof: NotDone, retry: rejected},
		"429 unavailable among others":        {status: 429, header: []string{"DoSFilter", "delayed, unavailable"}, proof: NotDone, retry: rejected},
		"429 unavailable, only proof retries": {status: 429, header: []string{"DoSFilter", unavailable}, proofOnly: true, proof: NotDone, retry: rejected},
		"429 delayed":                         {status: 429, header: []string{"DoSFilter", "delayed"}, proof: Nothing, retry: lost},
		"429 without the header":              {status: 429, proof: Nothing, retry: rejected},
		"429 without the header, JSON":        {status: 429, kind: jsonType, body: `{"message":"slow"}`, proof: Nothing, retry: rejected},
		"429 without the header, error_code":  {status: 429, kind: jsonType, body: object, proof: Nothing, retry: lost},
		"429 without the header, only proof":  {status: 429, proofOnly: true, proof: Nothing, retry: lost},
		"429 without the header, cut":         {status: 429, body: strings.Repeat("x", maxPage+1), proof: Nothing, retry: lost},
		"429 without the header, coded":       {status: 429, header: []string{"Content-Encoding", "br"}, proof: Nothing, retry: lost},
		"503 unavailable":                     {status: 503, header: []string{"DoSFilter", unavailable}, proof: Nothing, retry: lost},

		"401": {status: 401, proof: NotDone, assumed: true, retry: refused},
		"301": {status: 301, proof: NotDone, assumed: true},
		"302": {status: 302, proof: NotDone, assumed: true},
		"303": {status: 303, proof: Nothing},
		"307": {status: 307, proof: NotDone, assumed: true},
		"308": {status: 308, proof: NotDone, assumed: true},
		"404": {status: 404, proof: NotDone, assumed: true},
		"405": {status: 405, proof: NotDone, assumed: true},
		"407": {status: 407, proof: NotDone, assumed: true},
		"415": {status: 415, proof: NotDone, assumed: true},
		"421": {status: 421, proof: NotDone, assumed: true},

		"400 with an object":        {status: 400, kind: jsonType, body: object, proof: NotDone, assumed: true},
		"400 with 40002":            {status: 400, kind: jsonType, body: wrapped, proof: Nothing},
		"400 under another type":    {status: 400, kind: "text/html", body: object, proof: Nothing},
		"400 with a list":           {status: 400, kind: jsonType, body: "[" + object + "]", proof: Nothing},
		"400 with two objects":      {status: 400, kind: jsonType, body: object + object, proof: Nothing},
		"400 with a cut object":     {status: 400, kind: jsonType, body: object[:9], proof: Nothing},
		"400 without a body":        {status: 400, kind: jsonType, proof: Nothing},
		"400 with null":             {status: 400, kind: jsonType, body: "null", proof: Nothing},
		"400 longer than its bound": {status: 400, kind: jsonType, body: object + strings.Repeat(" ", maxPage), proof: Nothing},
		"400 as long as its bound":  {status: 400, kind: jsonType, body: object + strings.Repeat(" ", maxPage-len(object)), proof: NotDone, assumed: true},
		"400 coded":                 {status: 400, kind: jsonType, body: object, header: []string{"Content-Encoding", "br"}, proof: Nothing},
		"403 with an object":        {status: 403, kind: jsonType, body: object, proof: NotDone, assumed: true},
		"403 with 40002":            {status: 403, kind: jsonType, body: wrapped, proof: Nothing},
		"403 as HTML":               {status: 403, kind: "text/html", body: "<html>", proof: Nothing},

		"408":                     {status: 408, proof: Nothing, retry: lost},
		"409":                     {status: 409, kind: jsonType, body: object, proof: Nothing},
		"413":                     {status: 413, kind: jsonType, body: object, proof: Nothing},
		"500":                     {status: 500, kind: jsonType, body: object, proof: Nothing, retry: lost},
		"202":                     {status: 202, kind: jsonType, body: object, proof: Nothing},
		"a 200 of another type":   {status: 200, kind: "text/html", proof: Nothing},
		"a 200 that is coded":     {status: 200, kind: jsonType, header: []string{"Content-Encoding", "br"}, proof: Nothing},
		"a 200 that is JSON":      {status: 200, kind: jsonType, body: "{}", proof: Answered},
		"a 200, and nothing sent": {status: 200, kind: jsonType, body: "{}", untaken: true, proof: Answered},

		"sent twice by a gateway, refused":  {status: 404, header: []string{"X-Envoy-Attempt-Count", "2"}, proof: Nothing},
		"sent twice by a gateway, rejected": {status: 429, header: []string{"X-Envoy-Attempt-Count", "2", "DoSFilter", unavailable}, proof: Nothing},
		"sent twice by a gateway, 401":      {status: 401, header: []string{"X-Envoy-Attempt-Count", "2"}, proof: Nothing},
		"sent once by a gateway, refused":   {status: 404, header: []string{"X-Envoy-Attempt-Count", "1"}, proof: NotDone, assumed: true},
	} {
		t.Run(name, func(t *testing.T) {
			q := newRequest()
			q.ProofOnly = c.proofOnly
			if c.kind != "" {
				c.header = append(c.header, "Content-Type", c.kind)
			}
			answer := roundTrip(func(*http.Request) (*http.Response, error) { return reply(c.status, c.body, c.header...), nil })
			if !c.untaken {
				answer = taking(answer)
			}
			e, _, _ := newSender(answer).attempt(context.Background(), q, nil)
			require.Equal(t, c.proof, e.Proof)
			require.Equal(t, c.assumed, e.Assumed)
			require.Equal(t, c.retry, e.retry)
			require.Equal(t, c.status, e.Status)
			require.Equal(t, c.status == 429 && strings.Contains(strings.Join(c.header, " "), unavailable), e.RateLimited)
		})
	}
}

// A page that breaks off proves less than a whole one.
func TestProof_APageThatBreaksOff(t *testing.T) {
	for _, status := range []int{400, 403, 429} {
		sender := newSender(taking(func(*http.Request) (*http.Response, error) {
			resp := reply(status, "", "Content-Type", jsonType)
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("{}"), failingReader{errOwn}))
			return resp, nil
		}))
		e, _, _ := sender.attempt(context.Background(), newRequest(), nil)
		require.Equal(t, Nothing, e.Proof)
		require.NotEqual(t, rejected, e.retry)
	}
}

// A status that the table does not name proves nothing, whatever its body is.
func TestProof_EveryOtherStatusProvesNothing(t *testing.T) {
	named := []int{301, 302, 307, 308, 401, 404, 405, 407, 415, 421}
	withObject := append(slices.Clone(named), 400, 403)
	for status := 100; status < 1000; status++ {
		for body, proving := range map[string][]int{"": named, `{"error_code":1}`: withObject, `{"error_code":40002}`: named} {
			header := []string{"Content-Type", jsonType}
			if status == http.StatusOK {
				header = nil
			}
			sender := newSender(taking(func(*http.Request) (*http.Response, error) { return reply(status, body, header...), nil }))
			e, _, _ := sender.attempt(context.Background(), newRequest(), nil)
			want := Nothing
			if slices.Contains(proving, status) {
				want = NotDone
			}
			require.Equal(t, want, e.Proof, "HTTP %d %s", status, body)
			require.Equal(t, want == NotDone, e.Assumed, "HTTP %d %s", status, body)
		}
	}
}

// A request that was written more than once is refused by nobody for certain.
func TestProof_ARequestThatWasWrittenTwice(t *testing.T) {
	for status, header := range map[int]string{404: "", 429: "unavailable", 401: ""} {
		server := newCounter(t, false)
		server.answer = func(w http.ResponseWriter) {
			w.Header()["Dosfilter"] = []string{header}
			w.WriteHeader(status)
		}
		sender := newSender(roundTrip(func(r *http.Request) (*http.Response, error) {
			first, err := server.transport().RoundTrip(r)
			if err != nil {
				return nil, err
			}
			first.Body.Close()
			again := r.Clone(r.Context())
			again.Body = http.NoBody
			again.ContentLength = 0
			return server.transport().RoundTrip(again)
		}))
		e, _, _ := sender.attempt(context.Background(), server.request("x"), nil)
		require.Equal(t, Nothing, e.Proof)
		require.Equal(t, never, e.retry)
		require.Contains(t, e.Doubt, "2 times")
	}
}

func TestProof_HowOftenAGatewayHasSent(t *testing.T) {
	for value, want := range map[string]int{
		"1": 1, "0": 1, "01": 1, "x": 1, "-2": 1, "": 1, "2": 2, "002": 2, "10": 10, "1, 3": 3,
		strings.Repeat("7", 40): math.MaxInt, "-" + strings.Repeat("7", 40): 1,
	} {
		require.Equal(t, want, gatewayAttempts(http.Header{"X-Envoy-Attempt-Count": {value}}), "%q", value)
	}
}
