package mirrortest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/pkg/mirrortest"
)

func TestPattern_OnlyWhatIsTheSameInJavaAndGo(t *testing.T) {
	p := mirrortest.NewPair(t, mirrortest.Options{})
	ask := func(expression string) int {
		body := fmt.Sprintf(`{"mirror_topic_name_pattern":%q}`, expression)
		resp, _ := raw(t, p.Local, "POST", path(p.Local)+"?validate_only=true", body)
		return resp.StatusCode
	}
	for _, same := range []string{
		`.*`, `^(?:topic-.*)$`, `topic-\d`, `[a-z-]+\w`, `(?<n>topic).+`, `(?i)TOPIC-1`, `t?o+p{1}i{1,}c{1,2}.*?`, `a|\.`,
	} {
		require.Equal(t, 200, ask(same), same)
	}
	for _, differs := range []string{
		`[a-z&&[^bc]]`, `[a-d[m-p]]`, `[[:alpha:]]`, `\0101`, `(?U)\w+`, `(?P<n>x)`, `x{,3}`,
		`(?=x)`, `(?>x)`, `x++`, `(x)\1`, `\Qx\E`, `\p{L}`, `[]x]`, `a)(b`,
	} {
		require.Equal(t, 400, ask(differs), differs)
	}
}
