package contract_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/api"
	"github.com/seed25095279/clusterlink-go/pkg/contract"
)

// Whatever goes over the wire: the transport does not panic, changes no byte, tells a bounded number of
// findings, each on one line, and finds a body at fault with its schema exactly if the OpenAPI library
// does, which checks bodies as a whole.
func FuzzTransport(f *testing.F) {
	names := `{"mirror_topic_names":["a","b"]}`
	for _, c := range trafficCases() {
		x := good()
		c.edit(x)
		_, query, _ := strings.Cut(x.target, "?")
		f.Add(query, []byte(x.body), uint16(x.status), x.answers.Get("Content-Type"), x.answers.Get("Content-Encoding"),
			[]byte(x.answer))
	}
	for _, d := range defects() {
		f.Add("", []byte(names), uint16(d.status), d.mediaType, "", []byte(d.body))
	}
	doc, err := openapi3.NewLoader().LoadFromData(api.Spec())
	require.NoError(f, err)
	schema := doc.Paths.Find(path).Post.Responses.Value("200").Value.Content["application/json"].Schema.Value
	f.Fuzz(func(t *testing.T, query string, body []byte, status uint16, mediaType, encoding string, answer []byte) {
		var sent []byte
		base := roundTripper(func(r *http.Request) (*http.Response, error) {
			var err error
			sent, err = io.ReadAll(r.Body)
			return &http.Response{
				StatusCode: int(status), Body: io.NopCloser(bytes.NewReader(answer)),
				Header: http.Header{"Content-Type": {mediaType}, "Content-Encoding": {encoding}},
			}, err
		})
		var findings []contract.Finding
		transport, err := contract.NewTransport(base, func(f contract.Finding) { findings = append(findings, f) },
			contract.Options{MaxBody: 1 << 20})
		require.NoError(t, err)
		r := post(t, "http://127.0.0.1:1", bytes.NewReader(body))
		r.URL.RawQuery = query
		resp, err := transport.RoundTrip(r)
		require.NoError(t, err)
		received, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.True(t, bytes.Equal(body, sent) && bytes.Equal(answer, received), "bytes are changed")
		require.LessOrEqual(t, len(findings), 4*302, "of the head and the body, of the request and the answer")
		var ofSchema, other bool // the other rules are stricter than the library
		for _, f := range findings {
			require.NotContains(t, f.String(), "\n")
			require.Less(t, len(f.String()), 2048)
			if !f.Request {
				ofSchema = ofSchema || f.Rule == contract.RuleSchema
				other = other || f.Rule == contract.RuleInteger || f.Rule == contract.RuleDuplicate ||
					f.Rule == contract.RuleUnchecked || f.Rule == contract.RuleSyntax
			}
		}
		if bytes.Count(answer, []byte("["))+bytes.Count(answer, []byte("{")) > 500 {
			return // the library takes seconds for what is deep
		}
		var value any
		if err := json.Unmarshal(answer, &value); err != nil || other || status != 200 || encoding != "" ||
			mediaType != "application/json" {
			return
		}
		require.Equal(t, schema.VisitJSON(value) != nil, ofSchema, "%v", findings)
	})
}
