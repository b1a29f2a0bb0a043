package mirror

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed25095279/clusterlink-go/gen"
)

// The walk names the members that it reads; the generated models are made from the contract. If a
// regeneration adds, renames or retypes a member, one of these lists is no longer true, and
// somebody has to look.
func TestWalkReadsTheMembersOfTheModels(t *testing.T) {
	for _, c := range []struct {
		model           any
		reads, passesBy map[string]string
	}{
		{gen.AlterMirrorStatusResponseDataList{},
			map[string]string{"data": "[]gen.AlterMirrorStatusResponseData", "metadata": "gen.ResourceCollectionMetadata"},
			map[string]string{"kind": "string"}},
		{gen.ResourceCollectionMetadata{},
			map[string]string{"next": "*string"},
			map[string]string{"self": "string"}},
		{gen.AlterMirrorStatusResponseData{},
			map[string]string{
				memberTopic: "string", memberCode: "*int", memberMessage: "*string", memberLags: "[]gen.MirrorLag",
				memberTruncated: "*int64", memberTruncations: "*[]gen.PartitionLevelTruncationData",
			},
			map[string]string{"kind": "string", "metadata": "gen.ResourceMetadata"}},
		{gen.MirrorLag{},
			map[string]string{memberPartition: "int", memberLag: "int64", memberFetchOffset: "int64"}, nil},
		{gen.PartitionLevelTruncationData{},
			map[string]string{memberPartitionID: "int", memberTruncatedTo: "int64", memberTruncated: "int64"}, nil},
	} {
		model := reflect.TypeOf(c.model)
		members := map[string]string{}
		for i := range model.NumField() {
			name, _, _ := strings.Cut(model.Field(i).Tag.Get("json"), ",")
			members[name] = model.Field(i).Type.String()
		}
		known := map[string]string{}
		for name, typ := range c.reads {
			known[name] = typ
		}
		for name, typ := range c.passesBy {
			known[name] = typ
		}
		require.Equal(t, known, members, model.String())
	}
}
