package mirror_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

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

func TestMerge_AZeroReportStaysZeroIfTheOtherIsRefused(t *testing.T) {
	var r mirror.Report
	err := r.Merge(&mirror.Report{Verb: mirror.VerbPause, ClusterID: "lkc-1", Link: "l", Pattern: ".*"})
	require.ErrorIs(t, err, mirror.ErrInvalidArgument)
	require.Equal(t, mirror.Report{}, r)
}
