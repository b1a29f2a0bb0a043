// Package benchdata makes the answers that benchmarks read. It is a package of its own because the
// benchmarks of Go's testing package and the program that measures a fresh process both need them.
package benchdata

import (
	"encoding/json"
	"fmt"

	"github.com/seed25095279/clusterlink-go/gen"
)

// Answer returns the names of so many topics, and an answer about them with so many partitions each,
// truncation rows included, as the generated models write it. Every tenth topic failed.
func Answer(topics, partitions int) (names []string, body []byte) {
	list := gen.AlterMirrorStatusResponseDataList{Kind: "KafkaMirrorDataList", Metadata: gen.ResourceCollectionMetadata{Self: "https://pkc-00000.region.provider.confluent.cloud/kafka/v3/clusters/lkc-1/links/dr-link/mirrors"}}
	code, message, total := 400, "Topic has already stopped its mirror from 'dr-link'", int64(-1)
	crn := "crn:///kafka=lkc-1"
	for i := range topics {
		name := Name(i)
		names = append(names, name)
		row := gen.AlterMirrorStatusResponseData{
			Kind: "KafkaMirrorData", Metadata: gen.ResourceMetadata{Self: list.Metadata.Self + "/" + name, ResourceName: &crn},
			MirrorTopicName: name, MessagesTruncated: &total,
		}
		var cut gen.PartitionLevelTruncationDataList
		for p := range partitions {
			n := int64(i*31+p*7919) % 100_000
			row.MirrorLags = append(row.MirrorLags, gen.MirrorLag{Partition: p, Lag: n % 1000, LastSourceFetchOffset: n * 1000})
			cut = append(cut, gen.PartitionLevelTruncationData{PartitionID: p, OffsetTruncatedTo: n * 1000, MessagesTruncated: n % 50})
		}
		row.PartitionLevelTruncationData = &cut
		if i%10 == 9 {
			row.ErrorCode, row.ErrorMessage = &code, &message
		}
		list.Data = append(list.Data, row)
	}
	body, err := json.Marshal(list)
	if err != nil {
		panic(err)
	}
	return names, body
}

// Name is the name of a topic of the answers.
func Name(i int) string { return fmt.Sprintf("team-%02d.orders.%06d", i%40, i) }
