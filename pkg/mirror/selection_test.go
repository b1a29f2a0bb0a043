package mirror_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

// sentPattern is what a dry run with the selection sends.
func sentPattern(t *testing.T, s mirror.Selection) string {
	t.Helper()
	w := serve(t, ok(rows()))
	report, err := w.client(t).Validate(t.Context(), mirror.VerbReverseAndPause, "link", s)
	require.ErrorIs(t, err, mirror.ErrNoTopics)
	require.Equal(t, `pattern "`+report.Pattern+`"`, s.String())
	require.Contains(t, w.Requests()[0].Body, `{"mirror_topic_name_pattern":`)
	return report.Pattern
}

func TestSelection_PrefixAndSuffixMeanTheSameSearchedOrMatched(t *testing.T) {
	names := []string{"orders", "orders.eu", "ordersXeu", "my.orders.", "eu", "x.eu", "xeu", "EU"}
	for _, c := range []struct {
		s          mirror.Selection
		expression string
		want       []string
	}{
		{mirror.Prefix("orders."), `^(?:orders\..*)$`, []string{"orders.eu"}},
		{mirror.Prefix("orders", "x"), `^(?:(?:orders|x).*)$`, []string{"orders", "orders.eu", "ordersXeu", "x.eu", "xeu"}},
		{mirror.Suffix(".eu"), `^(?:.*\.eu)$`, []string{"orders.eu", "x.eu"}},
		{mirror.Suffix("eu", "."), `^(?:.*(?:eu|\.))$`, []string{"orders.eu", "ordersXeu", "my.orders.", "eu", "x.eu", "xeu"}},
		{mirror.All(), `.*`, names},
	} {
		require.Equal(t, c.expression, sentPattern(t, c.s))
		matched, err := c.s.Match(names)
		require.NoError(t, err)
		require.Equal(t, c.want, matched)
		search, whole := regexp.MustCompile(c.expression), regexp.MustCompile(`\A(?:`+c.expression+`)\z`)
		for _, name := range names {
			covered := slices.Contains(matched, name)
			require.Equal(t, covered, search.MatchString(name), "%s searched in %s", c.expression, name)
			require.Equal(t, covered, whole.MatchString(name), "%s matched with %s", c.expression, name)
		}
	}
}

func TestSelection_APatternIsSentAsItStands(t *testing.T) {
	for _, expression := range []string{
		`orders\..*`, `(?<region>eu|us)-.+`, `^a&&b$`, `(?!internal).*`, `[a-z&&[^bc]]+`, `x++`, ` `, `größe`,
	} {
		require.Equal(t, expression, sentPattern(t, mirror.Pattern(expression)))
	}
}

func TestSelection_EverythingIsSaidWithAll(t *testing.T) {
	lost := ""
	for _, expression := range []string{
		".*", lost + ".*", "^" + lost + ".*$", "(" + lost + "|" + lost + ")",
		".+", `\w*`, ".", "^", "$", "[a-zA-Z0-9._-]+", "x*", "(?:.*)", "^.{1,249}$",
	} {
		_, err := mirror.Pattern(expression).Match(nil)
		require.ErrorIs(t, err, mirror.ErrInvalidArgument, expression)
		require.ErrorContains(t, err, "use All", expression)
	}
	for _, expression := range []string{"orders.*", "[a-z]+", "[0-9]", "_", `\.`, "^o", "K$", "(?!x).*"} {
		sentPattern(t, mirror.Pattern(expression))
	}
}

func TestSelection_Match(t *testing.T) {
	for want, s := range map[string]mirror.Selection{
		"preview it with Validate":                  mirror.Pattern("orders.*"),
		`Prefix: no part of a topic name: ""`:       mirror.Prefix(""),
		"nothing is selected":                       {},
		`Topics: not a topic name: "a b"`:           mirror.Topics("a b"),
		`Suffix: no part of a topic name: "*", "/"`: mirror.Suffix("*", "/"),
	} {
		_, err := s.Match([]string{"orders"})
		require.ErrorIs(t, err, mirror.ErrInvalidArgument)
		require.ErrorContains(t, err, want)
	}
	matched, err := mirror.Topics("b", "a").Match([]string{"a", "b", "c"})
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, matched)
	matched, err = mirror.Prefix("x").Match([]string{"a"})
	require.NoError(t, err)
	require.Empty(t, matched)
	matched, err = mirror.All().Match([]string{"a", "b"})
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, matched)
}

func TestSelection_CopiesAndDescribesItself(t *testing.T) {
	names := []string{"a", "b"}
	topics, prefix := mirror.Topics(names...), mirror.Prefix(names...)
	names[0] = "changed"
	matched, err := topics.Match([]string{"a"})
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, matched)
	require.Equal(t, `pattern "^(?:(?:a|b).*)$"`, prefix.String())
	require.Equal(t, "2 topics", topics.String())
	require.Equal(t, "1 topic", mirror.Topics("a").String())
	require.Equal(t, "nothing", mirror.Selection{}.String())
	require.Equal(t, `pattern "\x1b[2J"`, mirror.Pattern("\x1b[2J").String())
}

func TestSaidBeforeSending_ACallIsCheckedWhole(t *testing.T) {
	sent := 0
	client := newClient(t, offline(roundTripper(func(r *http.Request) (*http.Response, error) {
		sent++
		return answering(rows(good("a"))).RoundTrip(r)
	})))
	many := make([]string, 30)
	for i := range many {
		many[i] = fmt.Sprintf("bad/%d", i)
	}
	for _, c := range []struct {
		name, link string
		s          mirror.Selection
		want       []string
	}{
		{"link empty", "", mirror.Topics("a"), []string{"link: it is empty"}},
		{"link .", ".", mirror.Topics("a"), []string{`link: "."`}},
		{"link ..", "..", mirror.Topics("a"), []string{`link: ".."`}},
		{"link -", "-", mirror.Topics("a"), []string{`link: "-" is the API's wildcard`}},
		{"names", "l", mirror.Topics("", ".", "..", "a b", "ä", strings.Repeat("x", 250), "ok"),
			[]string{`Topics: not a topic name: "", ".", "..", "a b", "ä", "xxx`}},
		{"twice", "l", mirror.Topics("a", "b", "a", "a"), []string{`Topics: named twice: "a"`}},
		{"many", "l", mirror.Topics(many...), []string{`"bad/19" and 10 more (1 to 249 characters`}},
		{"everything at once", "..", mirror.Topics("a", "a", "b!"),
			[]string{`link: ".."`, `not a topic name: "b!"`, `named twice: "a"`}},
		{"pattern empty", "l", mirror.Pattern(""), []string{"Pattern: the expression is empty"}},
		{"pattern not UTF-8", "l", mirror.Pattern("\xff"), []string{"Pattern: the expression is not UTF-8"}},
		{"pattern of everything", "l", mirror.Pattern("" + ".*"), []string{"use All"}},
		{"prefix empty", "l", mirror.Prefix("a", ""), []string{`Prefix: no part of a topic name: ""`}},
		{"suffix with a wildcard", "l", mirror.Suffix("*"), []string{`Suffix: no part of a topic name: "*"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			report, err := client.ReverseAndPause(t.Context(), c.link, c.s)
			require.ErrorIs(t, err, mirror.ErrInvalidArgument)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			require.Equal(t, len(report.Results), report.Count(mirror.Untouched))
			require.NotErrorIs(t, err, mirror.ErrOutcomeUnknown)
		})
	}
	require.Zero(t, sent)
}

// A name that is full of secrets of the call is still the name that was asked for.
func TestNoSecrets_ATopicThatWasAskedForKeepsItsName(t *testing.T) {
	names := []string{canary + "-orders", "b"}
	w := serve(t, ok(rows(good(names[0]), good(names[1]))))
	report, err := reverse(t, w.client(t), names...)
	require.NoError(t, err)
	require.Equal(t, names, report.Topics(mirror.Accepted))
	report, err = w.client(t).ReverseAndPause(t.Context(), "link", mirror.All())
	require.ErrorIs(t, err, mirror.ErrOutcomeUnknown, "of a pattern's row such a name is not legible")
	require.NotContains(t, marshal(t, report), canary)

	pair := mirrortest.NewPair(t, mirrortest.Options{InMemory: true, Topics: []mirrortest.Topic{{Name: names[0]}}})
	pair.Local.AcceptToken(canary, "")
	cfg := pair.Local.Config()
	cfg.Credential = w.config().Credential
	m, err := newClient(t, cfg).Mirror(t.Context(), pair.Link(), names[0])
	require.NoError(t, err)
	require.Equal(t, names[0], m.Topic)
}
