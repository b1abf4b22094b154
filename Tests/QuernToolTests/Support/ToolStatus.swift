// SPDX-License-Identifier: Apache-2.0
@testable import QuernTool

/// Swift Testing has an `ExitStatus` too; here only this one is known.
typealias ToolStatus = ExitStatus
