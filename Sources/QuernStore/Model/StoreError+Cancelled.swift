// SPDX-License-Identifier: Apache-2.0

extension StoreError.Code {
    /// The caller's task was cancelled while its transaction waited for room: nothing of it was or will be written.
    public static let cancelled = StoreError.Code("cancelled")
}
