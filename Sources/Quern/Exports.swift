// SPDX-License-Identifier: Apache-2.0

// One import for users: a module that imports Quern sees the store's ids, outcomes and times too.
@_exported public import QuernStore
