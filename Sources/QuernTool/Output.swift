// SPDX-License-Identifier: Apache-2.0
import SystemPackage

enum Output {
    /// A line on standard error.
    static func error(_ text: String) {
        _ = try? FileDescriptor.standardError.writeAll((text + "\n").utf8)
    }
}
