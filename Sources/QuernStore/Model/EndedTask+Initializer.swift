// SPDX-License-Identifier: Apache-2.0

extension EndedTask {
    /// An ended task as a walk over its parent's children finds it.
    package init(at index: Int, in block: ChildBlock) {
        id = block.id(at: index)
        label = block.label(at: index)
        kind = block.kind(at: index)
        attempts = block.attempts(at: index)
        startedAt = block.startedAt(at: index)
        endedAt = block.endedAt(at: index)
        value = block.withValue(at: index) { bytes in bytes.withUnsafeBytes { [UInt8]($0) } }
    }
}
