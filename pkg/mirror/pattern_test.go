package mirror_test

import (
	"context"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// sentPattern is what a dry run with the selection sends.
func sentPattern(t *testing.T, s mirror.Selection) string {
	t.Helper()
	w := serve(t, ok(rows()))
	report, err := w.client(t).Validate(context.Background(), mirror.VerbReverseAndPause, "link", s)
	require.ErrorIs(t, err, mirror.ErrNoTopics)
	require.Equal(t, `pattern "`+report.Pattern+`"`, s.String())
	require.Contains(t, w.Journal()[0].Body, `{"mirror_topic_name_pattern":`)
	return report.Pattern
}

func TestPattern_PrefixAndSuffixMeanTheSameSearchedOrMatched(t *testing.T) {
	names := []string{"orders", "orders.eu", "ordersXeu", "my.orders.", "eu", "x.eu", "xeu", "EU"}
	for _, c := range []struct {
		s          mirror.Selection
		expression string
		want       []string
	}{
		{mirror.Prefix("orders."), `^(?:orders\..*)$`, []string{"orders.eu"}},
		{mirror.Prefix("orders", "x"), `^(?:(?:orders|x).*)$`, []string{"orders", "orders.eu", "ordersXeu", "x.eu", "xeu"}},
		{mirror.Suffix(".eu"), `^(?:.*\.eu)$`, []string{"orders.eu", "x.eu"}},
		{mirror.Suffix("eu", "."), `^(?:.*(?:eu|\.))$`,
			[]string{"orders.eu", "ordersXeu", "my.orders.", "eu", "x.eu", "xeu"}},
		{mirror.All(), `.*`, names},
	} {
		require.Equal(t, c.expression, sentPattern(t, c.s))
		matched, err := c.s.Match(names)
		require.NoError(t, err)
		require.Equal(t, c.want, matched)
		search := regexp.MustCompile(c.expression)
		whole := regexp.MustCompile(`\A(?:` + c.expression + `)\z`)
		for _, name := range names {
			covered := false
			for _, m := range matched {
				covered = covered || m == name
			}
			require.Equal(t, covered, search.MatchString(name), "%s searched in %s", c.expression, name)
			require.Equal(t, covered, whole.MatchString(name), "%s matched with %s", c.expression, name)
		}
	}
}

func TestPattern_SentAsItStands(t *testing.T) {
	for _, expression := range []string{
		`orders\..*`, `(?<region>eu|us)-.+`, `^a&&b$`, `(?!internal).*`, `[a-z&&[^bc]]+`, `x++`, ` `, `größe`,
	} {
		require.Equal(t, expression, sentPattern(t, mirror.Pattern(expression)))
	}
}

func TestPattern_EverythingIsSaidWithAll(t *testing.T) {
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

func TestMatch(t *testing.T) {
	_, err := mirror.Pattern("orders.*").Match([]string{"orders"})
	require.ErrorIs(t, err, mirror.ErrInvalidArgument)
	require.ErrorContains(t, err, "preview it with Validate")

	_, err = mirror.Prefix("").Match([]string{"orders"})
	require.ErrorContains(t, err, `Prefix: no part of a topic name: ""`)

	_, err = mirror.Selection{}.Match([]string{"orders"})
	require.ErrorIs(t, err, mirror.ErrNoTopics)

	matched, err := mirror.Topics("b", "a").Match([]string{"a", "b", "c"})
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, matched)

	matched, err = mirror.Prefix("x").Match([]string{"a"})
	require.NoError(t, err)
	require.Empty(t, matched)
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
