package mirror_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

func TestNilError_TheAnswerIsOneListReadToItsEnd(t *testing.T) {
	a, b := good("a"), good("b")
	for _, c := range []struct{ name, body, want string }{
		{"all accepted", rows(a, b), ""},
		{"in another order", rows(b, a), ""},
		{"members that nobody knows", `{"new":{"data":[1]},"data":[` + a + "," + b + `],"also":[{}]}`, ""},
		{"next null", `{"metadata":{"next":null},"data":[` + a + "," + b + `]}`, ""},
		{"errors null and code 0", `{"errors":null,"error_code":0,"data":[` + a + "," + b + `]}`, ""},
		{"one failed", rows(a, failed("b", "400", "no")), "b: 400: no"},
		{"one missing", rows(a), "no row for this topic"},
		{"one unexpected", rows(a, b, good("c")), `1 unexpected row, the first about "c"`},
		{"one unreadable", rows(a, b, `null`), "1 unexpected row"},
		{"next set", `{"metadata":{"next":"http://x/?p=2"},"data":[` + a + "," + b + `]}`, `goes on at "http://x/?p=2"`},
		{"next set, after the rows", `{"data":[` + a + "," + b + `],"metadata":{"next":7}}`, `goes on at "7"`},
		{"next twice", `{"metadata":{"next":"p","next":null},"data":[` + a + "," + b + `]}`, `goes on at "p"`},
		{"metadata twice", `{"metadata":{"next":"p"},"metadata":{"next":null},"data":[` + a + "," + b + `]}`, `goes on at "p"`},
		{"an error_code beside the rows", `{"error_code":500,"data":[` + a + "," + b + `]}`, "an error beside its rows"},
		{"an error_code after the rows", `{"data":[` + a + "," + b + `],"error_code":50002}`, "an error beside its rows"},
		{"errors beside the rows", `{"errors":[{"code":"50002"}],"data":[` + a + "," + b + `]}`, "an error beside its rows"},
		{"cut off after the rows", strings.TrimSuffix(rows(a, b), "]}"), "unexpected EOF"},
		{"cut off before the end", strings.TrimSuffix(rows(a, b), "}"), "unexpected EOF"},
		{"bytes after its end", rows(a, b) + "x", "bytes after its end"},
		{"a second document", rows(a, b) + "{}", "bytes after its end"},
		{"data twice", `{"data":[` + a + `],"data":[` + b + `]}`, `"data" twice`},
		{"data and then no list", `{"data":[` + a + "," + b + `],"data":null}`, `"data" is not an array`},
		{"no data", `{"kind":"K"}`, `no "data"`},
		{"data null", `{"data":null}`, `"data" is not an array`},
		{"data an object", `{"data":{}}`, `"data" is not an array`},
		{"empty", "", "it is empty"},
		{"null", "null", "it is not a JSON object"},
		{"an array", "[]", "it is not a JSON object"},
		{"no JSON", "<html>", "could not be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := newClient(t, offline(answering(c.body)))
			report, err := reverse(t, client, "a", "b")
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, errors.Join(causes(err)...), c.want)
			}
			require.Zero(t, report.Count(mirror.Untouched), "a 200 proves of no topic that nothing was done")
			dry, dryErr := client.Validate(t.Context(), mirror.VerbReverseAndPause, "link", mirror.Topics("a", "b"))
			require.Equal(t, outcomes(report), outcomes(dry), "a dry run is judged like the call")
			require.Equal(t, err == nil, dryErr == nil)
		})
	}
}

// A middleware can forget the status. A list that was not read must not look like a link without mirror topics.
func TestNilError_AResponseWithoutAStatusIsNoAnswer(t *testing.T) {
	for _, take := range []bool{true, false} {
		client := newClient(t, offline(roundTripper(func(r *http.Request) (*http.Response, error) {
			if take && r.Body != nil {
				_, _ = io.Copy(io.Discard, r.Body)
			}
			return &http.Response{}, nil
		})))
		l, err := client.Mirrors(t.Context(), "link")
		require.ErrorContains(t, err, "no status")
		require.False(t, l.Complete || l.Read)
		_, err = client.Mirror(t.Context(), "link", "a")
		require.Error(t, err)
		_, err = client.Link(t.Context(), "link")
		require.Error(t, err)
		report, err := reverse(t, client, "a")
		require.ErrorContains(t, err, "no status")
		want := mirror.Untouched
		if take {
			want = mirror.Unknown
		}
		require.Equal(t, want, report.Results[0].Outcome)
	}
}
