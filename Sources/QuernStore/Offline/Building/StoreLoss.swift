// SPDX-License-Identifier: Apache-2.0

/// Something that a store held once and that cannot be read any more.
package struct StoreLoss: Sendable, Equatable {
    /// The file's name in the store's directory; empty when it is about no file.
    package var file: String
    package var offset: Int?
    /// What is wrong, and what it means.
    package var what: String
    /// Whose children are lost, when that is known.
    package var parent: TaskID?
    /// How many children or live tasks are lost, when that is known.
    package var count: UInt64?
    /// Between which commit positions they are.
    package var sequences: Range<UInt64>?
    /// The ids of tasks that are lost.
    package var ids: Range<UInt64>?
}
