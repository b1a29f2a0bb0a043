package mirror_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"go/types"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// Every exported type, filled by real calls with a canary for a secret, in every form that Go can give
// it: no form shows the canary.
func TestNoSecrets_EveryTypeInEveryForm(t *testing.T) {
	key := mirror.APIKey("key", canary)
	bearer := mirror.BearerToken(func(context.Context) (string, error) { return canary, nil }, "pool-1")
	var batch mirror.Batch
	w := serve(t, ok(rows(
		good("a"), `{"mirror_topic_name":"b","error_code":5}`, `{"mirror_topic_name":"b","error_code":6}`, good("z"),
	)))
	cfg := w.config()
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{{PrivateKey: []byte(canary)}}, MinVersion: tls.VersionTLS12}
	cfg.AfterBatch = func(_ context.Context, b mirror.Batch, _ *mirror.Report) error { batch = b; return nil }
	client := newClient(t, cfg)
	report, err := reverse(t, client, "a", "b", "c")
	require.Error(t, err)
	var incomplete *mirror.IncompleteError
	require.ErrorAs(t, err, &incomplete)
	var topic *mirror.TopicError
	require.ErrorAs(t, err, &topic)
	_, err = reverse(t, serve(t, status(307, "", "", "Location", "https://u:"+canary+"@h/?"+canary)).client(t), "a")
	var api *mirror.APIError
	require.ErrorAs(t, err, &api)
	refused := w.config()
	refused.Endpoint = "https://u:" + canary + "@h:9092?" + canary + "#" + canary
	_, argument := mirror.NewClient(refused)
	require.Error(t, argument)

	reader := newClient(t, serve(t, ok("")).config())
	listing, err := reader.Mirrors(t.Context(), "link")
	require.NoError(t, err)
	link, err := reader.Link(t.Context(), "link")
	require.NoError(t, err)

	open := mirror.UnknownReport("lkc-local", "link", mirror.VerbPromote, time.Now(), "topic-1")
	refusing := serve(t, ok(""))
	refusing.Local.Inject(mirrortest.Fault{Reads: true, Do: mirrortest.Error(403, 40301, "Bearer "+canary)})
	progress, notDone := newClient(t, refusing.config()).Follow(t.Context(), open, mirror.FollowOptions{})
	require.Error(t, notDone)

	values := map[string][]any{
		"Config":              {cfg, &cfg},
		"Client":              {client},
		"Credential":          {key, bearer, mirror.NoCredential()},
		"Selection":           {mirror.Topics("a"), mirror.All()},
		"Batch":               {batch, &batch},
		"Run":                 {batch.Run},
		"Verb":                {report.Verb},
		"Status":              {mirror.StatusActive},
		"Mirror":              {listing.Mirrors[0]},
		"Listing":             {listing, *listing},
		"LinkInfo":            {link},
		"LinkTask":            {link.Tasks[0]},
		"Reason":              {mirror.Reason{}},
		"Stage":               {mirror.StageBlocked},
		"Settlement":          {mirror.Settlement{}},
		"FollowOptions":       {mirror.FollowOptions{Other: client}},
		"Progress":            {progress, *progress},
		"TopicProgress":       {mirror.TopicProgress{}},
		"ClusterProgress":     {progress.Clusters[0]},
		"NotDoneError":        {notDone},
		"Number":              {mirror.NotKnown},
		"Unaccounted":         {report.Unaccounted},
		"Report":              {*report, report, batch.Unanswered()},
		"Result":              {report.Results[1], &report.Results[0]},
		"Attempt":             {report.Attempts[0]},
		"Outcome":             {mirror.Failed},
		"PartitionLag":        {mirror.PartitionLag{}},
		"PartitionTruncation": {mirror.PartitionTruncation{}},
		"LagSummary":          {report.Lag()},
		"TruncationSummary":   {report.Truncation()},
		"FailureGroup":        {report.Failures()[:0:0], mirror.FailureGroup{}},
		"TopicError":          {topic, *topic},
		"APIError":            {api, *api, argument},
		"IncompleteError":     {incomplete, *incomplete, err},
	}
	exported(load(t).pkg(t, "pkg/mirror"), func(name string, o types.Object) {
		if _, isType := o.(*types.TypeName); isType {
			if _, isInterface := o.Type().Underlying().(*types.Interface); !isInterface {
				require.NotEmpty(t, values[name], "the type %s is not looked at", name)
			}
		}
	})

	secrets := []string{
		canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary),
		"99 52 110 52 114 121" /* its bytes */, base64.StdEncoding.EncodeToString([]byte("key:" + canary)),
	}
	clean := func(form, text string) {
		t.Helper()
		for _, secret := range secrets {
			require.NotContains(t, text, secret, form)
		}
	}
	for name, all := range values {
		for _, v := range all {
			for _, verb := range "vTtbcdoOqxXUeEfFgGsp" {
				for _, flags := range []string{"", "+", "#", "0", " ", "-9"} {
					format := "%" + flags + string(verb)
					clean(name+" as "+format, fmt.Sprintf(format, v))
				}
			}
			clean(name+" as panic", func() (text string) {
				defer func() { text = fmt.Sprint(recover()) }()
				panic(v)
			}())
			if text, err := json.Marshal(v); err == nil {
				clean(name+" as JSON", string(text))
			} else {
				clean(name+" as JSON", err.Error())
			}
			var log bytes.Buffer
			slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
			slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
			clean(name+" as slog", log.String())
		}
	}
}

// A panic on its way through the library takes no secret along, and a secret goes to its host only.
func TestNoSecrets_SecretsStayWithTheirHost(t *testing.T) {
	pair := mirrortest.NewPair(t, mirrortest.Options{})
	pair.Local.Inject(mirrortest.Fault{Do: mirrortest.Answer(308, "", "Location", pair.Remote.Endpoint+"/steal")})
	cfg := pair.Local.Config()
	_, err := reverseOn(t, newClient(t, cfg), "dr-link", "topic-1")
	require.ErrorContains(t, err, "not followed")
	for _, r := range pair.Journal() {
		require.Equal(t, "lkc-local", r.Cluster)
	}
}
