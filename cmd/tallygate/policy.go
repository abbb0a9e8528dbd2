package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tallygate/tallygate/internal/config"
	"github.com/tallygate/tallygate/policy"
	"github.com/tallygate/tallygate/policy/opa"
)

func newPolicyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Check, explain and try out policies",
		Long: `Policy works on .rego files, data files, directories and bundles, given as
arguments or taken from the policy section of a configuration.`,
		Example: `  tallygate policy check policies/
  tallygate policy deps policies/
  tallygate policy eval policies/ --path /orders/7 --header x-user=alice`,
	}
	cmd.AddCommand(newPolicyCheckCommand(), newPolicyDepsCommand(), newPolicyEvalCommand(), newPolicyTestCommand(), newPolicyDiffCommand())
	return cmd
}

// policyFlags say which policies are meant and how.
type policyFlags struct {
	src         config.Sources
	entrypoint  string
	entrypoints map[string]string
	httpSend    []string
	builtins    []string
	strict      bool
}

func (f *policyFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringArrayVarP(&f.src.URIs, "config", "c", nil, "configuration `file` with a policy section; repeats and merges")
	fl.StringArrayVar(&f.src.Sets, "set", nil, "override one key of the configuration: `key.path=value`; repeats")
	fl.StringVarP(&f.entrypoint, "entrypoint", "e", "", "`rule` that decides, as envoy/authz/allow")
	fl.StringToStringVar(&f.entrypoints, "entrypoints", nil, "further rules by `name=rule`")
	fl.StringArrayVar(&f.httpSend, "allow-host", nil, "`host` that http.send may reach; repeats")
	fl.StringArrayVar(&f.builtins, "allow-builtin", nil, "`name` of a built-in that is forbidden otherwise; repeats")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
}

// resolve returns the configuration of the policies at paths, or of those in
// the configuration file.
func (f *policyFlags) resolve(cmd *cobra.Command, paths []string) (opa.Config, policy.Config, error) {
	rules, decider := opa.DefaultConfig(), policy.DefaultConfig()
	if len(f.src.URIs) > 0 {
		cfg, err := loadConfig(cmd.Context(), f.src)
		if err != nil {
			return rules, decider, err
		}
		if !cfg.Policy.HasValue() {
			return rules, decider, &exitError{exitUsage, errors.New("the configuration has no policy section")}
		}
		rules, decider = cfg.Policy.Get().OPA, cfg.Policy.Get().Decider
	}
	if len(paths) > 0 {
		rules.Paths = paths
	}
	if f.entrypoint != "" {
		rules.Entrypoint = f.entrypoint
	}
	if len(f.entrypoints) > 0 {
		rules.Entrypoints = maps.Clone(f.entrypoints)
	}
	rules.HTTPSend.Hosts = slices.Concat(rules.HTTPSend.Hosts, f.httpSend)
	rules.Builtins = slices.Concat(rules.Builtins, f.builtins)
	if len(rules.Paths) == 0 {
		return rules, decider, &exitError{exitUsage, errors.New("name policies, or a configuration with --config")}
	}
	if err := rules.Validate(); err != nil {
		return rules, decider, &exitError{exitUsage, err}
	}
	return rules, decider, nil
}

// compile compiles the policies that are meant.
func (f *policyFlags) compile(cmd *cobra.Command, paths []string) (*opa.Generation, policy.Config, error) {
	rules, decider, err := f.resolve(cmd, paths)
	if err != nil {
		return nil, decider, err
	}
	rules.Strict = rules.Strict || f.strict
	g, err := compile(cmd.Context(), &rules)
	if err != nil {
		return nil, decider, &exitError{exitUsage, fmt.Errorf("the policies are not valid:\n%w", err)}
	}
	return g, decider, nil
}

// entrypointName is how an entrypoint is shown.
func entrypointName(name string) string {
	if name == "" {
		return "default"
	}
	return name
}
