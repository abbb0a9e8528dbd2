package host

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
)

type hostedExtension struct {
	factory  extension.Factory
	config   component.Config
	settings extension.Settings
}

func (e *hostedExtension) create(ctx context.Context) (extension.Extension, error) {
	return e.factory.Create(ctx, e.settings, e.config)
}

// extensions is the component.Host of every hosted component: it finds its
// authenticators and its storage there.
type extensions map[component.ID]component.Component

// GetExtensions implements [component.Host].
func (e extensions) GetExtensions() map[component.ID]component.Component { return e }
