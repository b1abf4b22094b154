// SPDX-License-Identifier: Apache-2.0

/// A live task that has or had children or was advanced; also the pseudo-parent of all root tasks.
struct ParentState: Sendable {
    var status: ParentStatus
    /// The root task above it, or itself.
    let root: TaskID
    /// The children that ended last and are in no index segment yet (S8).
    var openBlock: OutcomeBlock
    /// Where the bytes of the last advance are, when there was one.
    var handover: LogPlace?

    init(id: TaskID, root: TaskID) {
        self.root = root
        status = ParentStatus(id: id)
        openBlock = OutcomeBlock(parent: id, root: root)
    }
}

/// Where a record is in the log.
struct LogPlace: Sendable, Equatable, BitwiseCopyable {
    var segment: UInt32
    var frameOffset: UInt64
    var recordOffset: UInt32
}
