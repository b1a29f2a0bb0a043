package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/seed25095279/clusterlink-go/pkg/internal/text"
	"github.com/seed25095279/clusterlink-go/pkg/mirror"
)

// cluster is the cluster that one set of variables is about.
type cluster struct {
	*mirror.Client       // nil if err is not
	err            error // what is wrong with the variables
	prefix         string
}

func (a *app) cluster(prefix string) cluster {
	c := cluster{prefix: prefix}
	cfg, err := mirror.ConfigFromEnv(prefix)
	if err == nil {
		cfg.Logger = slog.New(limiterLog{&a.tell})
		if a.dial != nil {
			cfg.Transport = a.dial
		}
		c.Client, err = mirror.NewClient(cfg)
	}
	c.err = err
	return c
}

// isSet tells whether any of the variables is set.
func (c cluster) isSet() bool {
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, c.prefix+"KAFKA_") {
			return true
		}
	}
	return false
}

// String says which cluster the variables are about.
func (c cluster) String() string {
	name := c.prefix + "KAFKA_CLUSTER_ID"
	switch {
	case c.err == nil:
		return name + " is " + text.Quote(c.ClusterID())
	case !c.isSet():
		return name + " is not set"
	}
	return c.err.Error()
}

// clusters returns the cluster with the id and the one at the other end of the link. Without an id the first set of
// variables says which is which. The other cluster's variables may be wrong.
func (a *app) clusters(id string) (this, other cluster, err error) {
	this, other = a.cluster(a.envPrefix), a.cluster(a.otherPrefix)
	switch {
	case id == "" && this.err != nil:
		return this, other, this.err
	case id != "" && this.ClusterID() != id && other.ClusterID() == id:
		this, other = other, this
	case id != "" && this.ClusterID() != id:
		return this, other, fmt.Errorf("no variables are about cluster %s: %v; %v", text.Quote(id), this, other)
	}
	if other.err == nil && other.ClusterID() == this.ClusterID() {
		other.Client, other.err = nil, fmt.Errorf("%v too", other)
	}
	return this, other, nil
}

// pair is clusters for a verb, which may need both.
func (a *app) pair(v mirror.Verb, id string) (this, other cluster, err error) {
	this, other, err = a.clusters(id)
	if err == nil && reverses(v) && other.err != nil {
		err = fmt.Errorf("%s needs both clusters: %w", short(v), other.err)
	}
	return this, other, err
}

// link reads the cluster's side of a link. A cluster that is not needed is asked once, and has 10 s to answer.
func (c cluster) link(ctx context.Context, link string, needed bool) (mirror.LinkInfo, error) {
	if needed {
		return c.Link(ctx, link)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return c.WithRetryFor(-1).Link(ctx, link)
}

// because says why the cluster was not read.
func (c cluster) because(err error) string {
	if c.err != nil {
		return c.String()
	}
	return err.Error()
}
